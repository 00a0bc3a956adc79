"""The playground: a page on which a person asks any endpoint anything that it takes, and sees where the answer is from.

`mlops up` starts it on http://127.0.0.1:8501. By hand, on a platform that runs:

    streamlit run mlops_assets/playground/page.py

It knows no workload. Its forms are made of what an endpoint says of itself (`/info`, `/example`, `/openapi.json`), so a
new workload has one without code.
"""
