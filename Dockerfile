# The simulator in a container: docker build -t klingkit . && docker run --rm -p 8000:8000 --name kling klingkit
# Every option of `klingkit serve` is a variable: -e KLINGKIT_INSTANT=1

FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv --without-pip /opt/klingkit \
    && pip --python /opt/klingkit/bin/python install --no-cache-dir 'klingkit[postgres] @ file:///src'

FROM python:3.13-slim
COPY --from=build /opt/klingkit /opt/klingkit
# What is kept here outlives the container: -e KLINGKIT_STATE=sqlite:////state/kling.db -v kling:/state
RUN install -d -o 10001 -g 10001 /state
VOLUME /state
WORKDIR /state
USER 10001:10001
ENV PATH=/opt/klingkit/bin:$PATH \
    KLINGKIT_HOST=0.0.0.0 \
    KLINGKIT_PORT=8000 \
    KLINGKIT_ALLOW_HOST=kling
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import http.client, os, sys; service = http.client.HTTPConnection('127.0.0.1', int(os.environ['KLINGKIT_PORT']), timeout=2); service.request('GET', '/_mock/health'); sys.exit(service.getresponse().status != 200)"]
ENTRYPOINT ["klingkit"]
CMD ["serve"]
