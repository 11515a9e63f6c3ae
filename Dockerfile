# An image of SwiftBolt for every profile: platform, API, worker, runs. Build it with
#   uv build --wheel --out-dir dist
#   uv export --frozen --no-default-groups --extra celery --extra k8s --no-emit-project --quiet \
#     --output-file dist/requirements.txt
#   docker build --tag registry.example.com/swiftbolt:0.2.0 .
FROM python:3.11-slim
ARG PREFIX=/opt/swiftbolt
ARG UV_COMPILE_BYTECODE=1
COPY dist/requirements.txt dist/swiftbolt-*.whl $PREFIX/
# uv installs what is locked, hashes checked, in a tenth of pip's time.
RUN python -m venv $PREFIX/uv && $PREFIX/uv/bin/pip install --no-cache-dir --quiet "uv>=0.13,<1"
RUN python -m venv $PREFIX/venv
RUN $PREFIX/uv/bin/uv pip install --quiet --python $PREFIX/venv/bin/python --requirement $PREFIX/requirements.txt
RUN $PREFIX/uv/bin/uv pip install --quiet --python $PREFIX/venv/bin/python --no-deps $PREFIX/swiftbolt-*.whl
RUN rm -r $PREFIX/uv $PREFIX/requirements.txt $PREFIX/swiftbolt-*.whl
ENV PATH=$PREFIX/venv/bin:$PATH SWIFTBOLT_HOME=/var/lib/swiftbolt PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1
# Not an entry point: Dagster's Helm chart gives whole command lines.
RUN mkdir -p -m 0777 $SWIFTBOLT_HOME
USER 10001:0
CMD ["swiftbolt", "doctor"]
