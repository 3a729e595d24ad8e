FROM busybox
WORKDIR /a/b
WORKDIR c
USER alice
WORKDIR ../d
ENV X=/v
WORKDIR $X/w/
RUN pwd; id -u > /tmp/id
