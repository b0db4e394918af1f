# carbond in a container: `docker build -t carbond .`; docker-compose.yml runs it beside its broker.
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends sudo ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN ./dev setup run && ./dev build release carbond carbonctl && cmake --install build/release --prefix /usr --strip

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libmicrohttpd12 libmosquitto1 libjansson4 \
	libssl3 libsodium23 libcurl4 libsqlite3-0 libmongoc-1.0-0 libbson-1.0-0 libsystemd0 libzstd1 libnettle8 libyaml-0-2 zlib1g libhiredis0.14 tzdata \
	&& rm -rf /var/lib/apt/lists/* \
	&& useradd --system --uid 900 --home-dir /var/lib/carbond --shell /usr/sbin/nologin carbond \
	&& install -d -o carbond -g carbond -m 700 /var/lib/carbond
COPY --from=build /usr/bin/carbonctl /usr/bin/
COPY --from=build /usr/sbin/carbond /usr/sbin/
COPY --from=build /usr/share/carbond /usr/share/carbond
USER carbond
VOLUME /var/lib/carbond
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["carbonctl", "system", "ready"]
ENTRYPOINT ["carbond"]
CMD ["run"]
