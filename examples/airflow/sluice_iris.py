"""An Airflow DAG: on Sundays the data are checked, a version is trained, and the verdict of its rollout is waited for.

The operator follows the alias `challenger`, so nobody has to deploy the version. A task fails, and so does the run,
where the data are not good enough, MLflow does not answer, or the version was rejected: the log of the last task says
by what.

For Airflow 3. The workers need this package with the extras `trainer` and `operator` (for `kubectl sluice`),
MLFLOW_TRACKING_URI, and a kubeconfig that may read ModelDeployments.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "sluice_iris",
    schedule="0 2 * * 0",
    start_date=datetime(2026, 1, 4, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # a second version would end the rollout of the first
):
    validate = BashOperator(task_id="validate", bash_command="python -m sluice_trainer validate --sample")
    train = BashOperator(  # its last line is the URI of the version, and Airflow hands that on
        task_id="train", bash_command="python -m sluice_trainer train --name iris --alias challenger"
    )
    rollout = BashOperator(
        task_id="rollout",
        bash_command='kubectl sluice wait iris -n models --model "$VERSION" --timeout 4h',
        env={"VERSION": "{{ ti.xcom_pull(task_ids='train') }}"},
        append_env=True,
        execution_timeout=timedelta(hours=5),
    )
    validate >> train >> rollout
