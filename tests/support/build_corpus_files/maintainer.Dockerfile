FROM busybox
MAINTAINER Some One <a@b>
ENV A=1
