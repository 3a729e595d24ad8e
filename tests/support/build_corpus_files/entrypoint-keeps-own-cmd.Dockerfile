FROM busybox
CMD ["own"]
ENTRYPOINT ["e"]
