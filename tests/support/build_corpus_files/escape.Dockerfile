# escape=`
FROM busybox
ENV A=C:\x B=a`
 b
RUN echo one `
 two > /o
