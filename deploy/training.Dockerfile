# The image that `train --on vertex` runs (docs/vertex.md). From the project's folder:
#   docker build -f deploy/training.Dockerfile -t IMAGE . && docker push IMAGE
FROM python:3.12-slim
WORKDIR /stork
COPY requirements.txt requirements-tensorflow.txt requirements-train.txt .
RUN pip install --no-cache-dir -r requirements-train.txt
COPY stork stork
COPY templates templates
COPY model model
CMD ["python", "-m", "stork", "--help"]
