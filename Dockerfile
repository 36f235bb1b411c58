# One image for everything that runs in a cluster: each process is told by mounted files which services it
# holds (services/platform/pod/files.ts). `make image` builds it.
FROM node:24-bookworm-slim AS build
WORKDIR /opt/tricampus
COPY package.json package-lock.json .npmrc ./
# Node itself comes from the lock file too, as everywhere else.
RUN npm ci --omit=dev --no-progress --loglevel=error \
 && install -D node_modules/node-linux-*/bin/node /out/node \
 && rm -rf node_modules/node-linux-* node_modules/.bin /root/.npm \
 && find node_modules -type f \( -name '*.map' -o -name '*.md' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
COPY protos/gen protos/gen
COPY services services
COPY sdk sdk
COPY cli cli
COPY operator operator
COPY crds crds

FROM debian:bookworm-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tricampus \
 && install -d -o 10001 -g 10001 /var/lib/tricampus /opt/compile-cache
COPY --from=build /out/node /usr/local/bin/node
COPY --from=build /opt/tricampus /opt/tricampus
WORKDIR /opt/tricampus
USER 10001:10001
# Two thirds of a process's start would go into stripping types and compiling. The cache holds for this
# user and these flags only.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/opt/compile-cache
RUN node --v8-pool-size=1 --max-semi-space-size=32 services/platform/pod/warm-up.ts
# The entry as well: one file whose types are still to be stripped brings the whole tool for that into memory. Without
# a campus it ends before it does anything.
RUN node --v8-pool-size=1 --max-semi-space-size=32 services/platform/pod/main.ts 2>&1 | grep -qx "TRICAMPUS_CAMPUS and POD_NAME must be set"
RUN node --v8-pool-size=1 --optimize-for-size --max-semi-space-size=4 --heap-growing-percent=20 operator/warm-up.ts
ENTRYPOINT ["node", "--v8-pool-size=1", "--max-semi-space-size=32"]
CMD ["services/platform/pod/main.ts"]
