FROM busybox
ENV A=1 B='two words' C="q$A"
ENV D old form  here
ENV PATH=/x:$PATH
ENV A=3
