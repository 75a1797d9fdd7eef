"""The Sluice operator: watches ModelDeployments and rolls their models out."""
