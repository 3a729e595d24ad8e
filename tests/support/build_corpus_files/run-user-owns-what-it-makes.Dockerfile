FROM busybox
USER 5:6
RUN id > /tmp/id && touch /tmp/o
USER daemon
COPY y.txt /own
RUN touch /tmp/p
WORKDIR /made
