ARG TAG=latest
ARG NAME=busybox
FROM $NAME:$TAG
RUN echo "[$TAG]" > /none
ARG TAG
RUN echo "[$TAG]" > /some
