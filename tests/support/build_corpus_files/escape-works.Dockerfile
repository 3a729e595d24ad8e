# escape=`
FROM busybox
RUN echo one `
 two > /o
ENV A=C:\x
