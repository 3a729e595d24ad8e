FROM busybox
SHELL ["/bin/sh", "-xc"]
RUN echo shell > /s
CMD x
ENTRYPOINT y
