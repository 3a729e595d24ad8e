FROM busybox
RUN mkdir -p /o/a /o/keep && echo 1 > /o/b && ln -s b /o/l
COPY d /o
