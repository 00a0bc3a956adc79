"""What workloads of a kind share: plain machine learning, no platform. A workload may use a kit, or none.

Data:        `tablefile` (CSV, TSV, Parquet, JSON lines), `columns` (what cells mean), `understand` (tells that from
             them), `tabular` (rows of numbers, and what is to be told from them),
             `texts` (with `duplicates` and `docstrings`), `pictures` and `idx`,
             `parameters` (of their pipelines; imports nothing heavy, so that a declaration may name them).
Training:    `sklearn` (any scikit-learn estimator), `plain` (NumPy alone), `lightning` (any network), `transformers`
             (texts; `transformer_parameters` for declarations), `search` (what may be tried), `ray_session`.
Serving:     `requests` (rows of a table), `onnx` (what scikit-learn trained), `text_onnx`, `plain`; `network` and
             `torch_onnx` write a network's forms.
Retrieval:   `retrieval` (a LangChain retriever; `retrieval_sql` is what it asks PostgreSQL, `fusion` how it orders).
Evaluation:  `classification`, `regression` (row scores, pictures, and the form of the answers).
"""
