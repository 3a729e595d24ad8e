FROM busybox
RUN mkdir /r && ln -s r /in
ADD a.tar /
