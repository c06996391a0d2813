# The server in an image: built with its dependencies cached, run as nobody in particular on a read-only root.
#   docker build -t butaca . && docker run --rm -p 8001:8001 butaca
# With --security-opt seccomp=docker/seccomp.json it has io_uring; without, it runs on plain threads.

FROM rust:1.95.0-bookworm AS build
WORKDIR /build

# The dependencies alone first: this layer stays until Cargo.toml or Cargo.lock changes. Tests and benches are named in
# the manifests and are not there yet, so their sections are left out for this one build.
COPY Cargo.toml Cargo.lock ./
COPY loadgen/Cargo.toml loadgen/
COPY relay/Cargo.toml relay/
COPY benches/Cargo.toml benches/
COPY tests/kit/Cargo.toml tests/kit/
COPY tests/redis_model/Cargo.toml tests/redis_model/
RUN for manifest in Cargo.toml benches/Cargo.toml relay/Cargo.toml; do \
        cp $manifest whole \
        && awk '/^\[/ { drop = /^\[\[(test|bench|bin)\]\]/ } !drop' whole > $manifest; \
    done \
    && mkdir -p src loadgen/src relay/src benches/src tests/kit/src tests/redis_model/src \
    && touch src/lib.rs benches/src/lib.rs tests/kit/src/lib.rs tests/redis_model/src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cp src/main.rs loadgen/src/ \
    && cp src/main.rs relay/src/ \
    && cargo build --release --locked --package butaca \
    && cargo build --release --locked --package relay \
    && rm -r src loadgen relay benches tests Cargo.toml whole

COPY . .
# A copied file keeps its age; cargo has to see that it is newer than the empty one of before.
RUN find src relay/src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package butaca --bin butaca \
    && cargo build --release --locked --package relay --bin butaca-relay \
    && strip --strip-debug target/release/butaca target/release/butaca-relay

FROM debian:12.12-slim
RUN groupadd --system --gid 10001 butaca \
    && useradd --system --uid 10001 --gid butaca --no-create-home --shell /usr/sbin/nologin butaca \
    && install --directory --owner butaca --group butaca /data
COPY --from=build /build/target/release/butaca /build/target/release/butaca-relay /usr/local/bin/
COPY docker/healthcheck.sh /usr/local/bin/healthcheck

USER 10001:10001
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["healthcheck"]
ENTRYPOINT ["butaca"]
