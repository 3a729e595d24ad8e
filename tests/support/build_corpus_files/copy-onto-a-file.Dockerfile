FROM busybox
RUN echo x > /f
COPY d /f
