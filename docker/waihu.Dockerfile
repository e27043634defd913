# The application. Built from the checkout: docker build -f docker/waihu.Dockerfile .
FROM debian:forky-slim AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates dvdisaster python3 python3-venv xorriso
COPY docker/certificates /usr/local/share/ca-certificates
RUN update-ca-certificates >/dev/null
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock /source/
RUN python3 -m venv /opt/waihu && /opt/waihu/bin/pip install --no-cache-dir --require-hashes -r /source/requirements.lock
COPY LICENSE README.md pyproject.toml requirements.in /source/
COPY scripts/hatch_metadata.py /source/scripts/
COPY agi /source/agi
COPY asterisk-conf /source/asterisk-conf
COPY campaigns /source/campaigns
COPY dialer /source/dialer
COPY lab /source/lab
COPY recorder /source/recorder
RUN /opt/waihu/bin/pip install --no-cache-dir --no-deps /source

FROM debian:forky-slim
# The recorded prompts are what the lab's voices are cut from.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends asterisk-core-sounds-en-gsm ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s en_US_f_Allison /usr/share/asterisk/sounds/en
COPY --from=build /opt/waihu /opt/waihu
ENV PATH=/opt/waihu/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/waihu
ENTRYPOINT ["waihu"]
CMD ["serve"]
