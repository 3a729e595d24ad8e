FROM busybox
RUN mkdir -p /d/x && echo 1 > /d/x/y
RUN rm -r /d && mkdir /d && echo 2 > /d/z
RUN rm -r /d && echo file > /d
