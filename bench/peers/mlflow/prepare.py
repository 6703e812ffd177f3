"""Save the SavedModel as an MLflow model of the flavour that leaves the call to the user, into the folder given."""

import sys
from pathlib import Path

import mlflow.pyfunc


def main(target: Path, version: Path) -> None:
    """Make the folder. Without a signature: enforcing one costs more than the model."""
    mlflow.pyfunc.save_model(
        str(target),
        python_model=str(Path(__file__).parent / "model.py"),
        artifacts={"model": str(version)},
        pip_requirements=[],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
