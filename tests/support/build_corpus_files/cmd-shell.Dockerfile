FROM busybox
CMD echo  hello $A
