"""The declaration."""

from workloads.sdk.contract import Data, Gates, Metric, Parameters, Slice, Workload

workload = Workload(
    name="echo",
    description="Answers a number with itself.",
    data=Data("echo", "Numbers.", fetch="data:rows", process="data:rows", describe="data:rows", schema="data:rows"),
    parameters=Parameters,
    metrics=[
        Metric("right", "Share of numbers that are answered with themselves."),
        Metric("distance", "Mean distance of answer and number.", higher_is_better=False, unit="m"),
    ],
    gates=Gates("right", floor=0.8, margin=0.05, latency_ms=100, slices=[Slice("parity", 0.7)], golden="golden.json"),
    train="data:rows",
    plot=None,
    package="echo",
)
