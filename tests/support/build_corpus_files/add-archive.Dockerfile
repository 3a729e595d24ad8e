FROM busybox
ADD a.tar /x/
ADD a.tgz /var/data
ADD --chown=alice a.tar /c
COPY a.tar /kept/
ADD no.tar /n/
