FROM busybox
ENV A=1 E=
ENV B=${A:-x} C=${N:-$A} D=${A:+y} F=${E:-z} G=${N:+n} H=\$A I=a\ b
