FROM busybox
ENV A=1
RUN echo a \
 > /a
