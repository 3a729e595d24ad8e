FROM busybox
RUN echo 1 > /a; mkdir -m 1777 /t; ln -s a /l; ln /a /h; chown 7:8 /a
RUN rm /etc/group && rm -r /var/data && mkfifo /p
RUN ["/bin/sh", "-c", "echo exec > /e"]
RUN true
