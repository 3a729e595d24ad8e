FROM scratch
COPY y.txt /
ENV A=1
CMD ["/y.txt"]
