#!/usr/bin/env python3
"""Ends a file system as a power cut would: powercut.py MOUNTPOINT

FS_IOC_GOINGDOWN with FS_GOING_FLAGS_NOLOGFLUSH (2): nothing that is not on the disk yet is written any more,
the journal's tail included; every later call on the file system fails with EIO. It takes root.

It says `ready` first and cuts when it is told to by a line on standard input, so that whoever keeps the ledger knows
what had been acknowledged before.
"""
import fcntl
import os
import struct
import sys

FS_IOC_GOINGDOWN = 0x8004587D

fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
print("ready", flush=True)
sys.stdin.readline()
fcntl.ioctl(fd, FS_IOC_GOINGDOWN, struct.pack("I", 2))
