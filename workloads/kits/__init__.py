"""What workloads of a kind share: plain machine learning, no platform. A workload may use a kit, or none.

Data:        `csvfile` (a CSV file, read strictly), `tabular` (rows of numbers, and what is to be told from them),
             `parameters` (of their pipelines; imports nothing heavy, so that a declaration may name them).
Training:    `sklearn` (any scikit-learn estimator), `plain` (NumPy alone).
Serving:     `requests` (rows of a table), `onnx` (what scikit-learn trained), `plain`.
Evaluation:  `classification`, `regression` (row scores, pictures, and the form of the answers).
"""
