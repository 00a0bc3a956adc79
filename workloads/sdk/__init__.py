"""What every workload stands on, and what another team's repository imports: no workload, no Dagster, no platform."""
