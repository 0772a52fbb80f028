# An image for training jobs on ModelArts with Ascend cards; docs/modelarts.md says how to use it.
#   docker build -f docker/modelarts.Dockerfile -t mindmlm:ascend .
# The base image has to bring the CANN version that the MindSpore of constraints.txt was built for
# (the table in MindSpore's installation guide), for the cards of your region, with Python 3.11.
ARG CANN_IMAGE=quay.io/ascend/cann:8.3.rc1-910b-ubuntu22.04-py3.11
FROM ${CANN_IMAGE}

# ModelArts runs jobs as this user, with these numbers.
RUN if ! id ma-user >/dev/null 2>&1; then \
        useradd --create-home --home-dir /home/ma-user --shell /bin/bash --uid 1000 --gid 100 ma-user; \
    fi \
    && mkdir -p /cache \
    && chown 1000:100 /cache

WORKDIR /home/ma-user/mindmlm

# Dependencies first: they change less often than the code, so their layer is kept.
COPY --chown=1000:100 pyproject.toml constraints.txt README.md LICENSE ./
COPY --chown=1000:100 mindmlm/__init__.py mindmlm/__init__.py
RUN python -m pip install --no-cache-dir -c constraints.txt ".[cloud,data]" \
    && python -m pip uninstall --yes mindmlm

COPY --chown=1000:100 mindmlm mindmlm
COPY --chown=1000:100 configs configs
COPY --chown=1000:100 scripts scripts
COPY --chown=1000:100 tools tools
COPY --chown=1000:100 run_mindformer.py ./
RUN python -m pip install --no-cache-dir --no-deps -e .

USER 1000:100
ENV MINDMLM_CACHE_ROOT=/cache \
    PYTHONUNBUFFERED=1 \
    HCCL_CONNECT_TIMEOUT=600
# The platform gives the command; this one shows that the image is whole.
CMD ["python", "run_mindformer.py", "--help"]
