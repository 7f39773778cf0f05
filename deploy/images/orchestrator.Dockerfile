# The command line and the worker. Built from the top of the clone:
#   docker build -f deploy/images/orchestrator.Dockerfile -t sa-orch/orchestrator .
FROM node:20.19.5-bookworm-slim AS built
WORKDIR /opt/sa-orch
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN node bin/build.js && npm ci --omit=dev --no-audit --no-fund

FROM node:20.19.5-bookworm-slim
# pip unpacks the small backbone, openssl makes certificates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates openssl python3-pip \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /opt/sa-orch/bin/sa-orch.js /usr/local/bin/sa-orch \
    && install -d -o node -g node /checkpoints /state
WORKDIR /opt/sa-orch
COPY --from=built /opt/sa-orch ./
# Everything that is written lies in these two, so the rest of the file system may be read-only.
ENV SA_ORCH_ROOT=/checkpoints SA_ORCH_STATE=/state/services SA_ORCH_CACHE=/state/cache HOME=/state
USER 1000:1000
ENTRYPOINT ["sa-orch"]
CMD ["--help"]
