# The operator's image:                 docker build -t cutover .
# The sample application's, for tests:  docker build -t shop --target shop .

# bookworm like the image it ends up in: both have the same C library.
FROM rust:1.95-bookworm AS source
WORKDIR /src
COPY . .

FROM source AS build-shop
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --example shop \
    && install -D target/release/examples/shop /out/shop

FROM source AS build-cutover
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin cutover \
    && install -D target/release/cutover /out/cutover

# Holds the C library, the system's trusted certificates and a user, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
# By number: Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
WORKDIR /

FROM runtime AS shop
COPY --from=build-shop /out/shop /usr/local/bin/shop
ENTRYPOINT ["/usr/local/bin/shop"]

# The last one is what is built when no target is named.
FROM runtime AS cutover
COPY --from=build-cutover /out/cutover /usr/local/bin/cutover
ENTRYPOINT ["/usr/local/bin/cutover"]
