FROM busybox
RUN echo $HTTP_PROXY > /p
ARG no_proxy
RUN echo $no_proxy >> /p
