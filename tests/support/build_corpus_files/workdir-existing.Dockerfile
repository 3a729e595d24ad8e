FROM busybox
WORKDIR /var/data
RUN echo x > here
