FROM busybox
ONBUILD ENV A=1
onbuild copy y.txt /
ONBUILD RUN echo hi > /onbuild
