"""Programs that run as a job or as a data pipeline: arguments in, files out, `result.json` last."""
