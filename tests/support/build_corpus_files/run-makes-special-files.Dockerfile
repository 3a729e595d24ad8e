FROM busybox
RUN mkfifo /p && mknod /n c 1 3 && ln /bin/busybox /hard && chmod 7777 /p && truncate -s 1M /sparse
