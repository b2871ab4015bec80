# Moonphase in a container: built with the packages of `./dev setup build`, run with only the libraries it links with.
#   docker build -t moonphase . && docker run --rm -p 8080:8080 moonphase
# Own configuration: -v $PWD/my.conf:/etc/moonphase/moonphase.conf:ro
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY dev ./
RUN bash dev setup build
COPY CMakeLists.txt ./
COPY server/ server/
COPY lua/ lua/
RUN cmake -S . -B build/release -G Ninja -DMP_BUILD=release -DMP_TESTS=OFF && ninja -C build/release moonphase
RUN install -D -s build/release/moonphase /out/moonphase

FROM debian:bookworm-slim
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    ca-certificates libboost-context1.74.0 libbrotli1 libcrypt1 libdeflate0 libfmt9 libisal2 libluajit2-5.1-2 libnghttp2-14 \
    libpcre2-8-0 libspdlog1.10 libssl3 libstdc++6 libxxhash0 libzstd1 lua-cjson zlib1g \
  && rm -rf /var/lib/apt/lists/*
RUN useradd --system --home-dir /var/lib/moonphase --shell /usr/sbin/nologin moonphase \
  && install -d -o moonphase -g moonphase /var/lib/moonphase /var/lib/moonphase/logs \
  && ln -s /dev/stdout /var/lib/moonphase/logs/access.log \
  && ln -s /dev/stderr /var/lib/moonphase/logs/error.log \
  && ln -s /etc/moonphase/html /var/lib/moonphase/html
COPY --from=build /out/moonphase /usr/local/bin/moonphase
COPY conf/ /etc/moonphase/
# Inside a container the loopback address would be unreachable.
RUN sed -i 's/listen 127\.0\.0\.1:8080/listen 8080/' /etc/moonphase/moonphase.conf
USER moonphase
WORKDIR /var/lib/moonphase
EXPOSE 8080
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=3s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && read -r line <&3 && [[ $line == HTTP/1.* ]]"]
CMD ["moonphase", "-p", "/var/lib/moonphase/", "-c", "/etc/moonphase/moonphase.conf", "-e", "stderr", "-g", "daemon off;"]
