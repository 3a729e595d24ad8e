FROM busybox
RUN touch /x
ADD a.tar /x
