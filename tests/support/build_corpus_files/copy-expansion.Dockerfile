FROM busybox
ARG SRC=y.txt
ENV DST=/e
COPY $SRC ${DST}/x
COPY --chown=$WHO y.txt /f
