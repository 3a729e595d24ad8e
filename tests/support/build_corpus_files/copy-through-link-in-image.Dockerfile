FROM busybox
RUN mkdir /real && ln -s real /alias && ln -s /real/f /filelink
COPY y.txt /alias/
COPY d /alias/d
COPY y.txt /filelink
