#!/usr/bin/env python3
"""Writes src/text/unicode_case.inc: the upper- and lower-case mappings of Unicode, as Python's unicodedata has them.

One to one mappings become runs {first, last, stride, distance}; one to many mappings (German sharp s, ligatures) become
{code point, text}. Usage: unicode_case.py > src/text/unicode_case.inc
"""
import sys
import unicodedata


def mappings(change):
    single, many = [], []
    for c in range(sys.maxunicode + 1):
        if 0xD800 <= c < 0xE000:
            continue
        to = change(chr(c))
        if to == chr(c):
            continue
        if len(to) == 1:
            single.append((c, ord(to)))
        else:
            many.append((c, to))
    return single, many


def runs(single):
    out = []
    for c, to in single:
        if out:
            first, last, stride, distance = out[-1]
            step = c - last
            if to - c == distance and step in (1, 2) and stride in (0, step):
                out[-1] = (first, c, step, distance)
                continue
        out.append((c, c, 0, to - c))
    return [(f, l, s or 1, d) for f, l, s, d in out]


def write(name, change):
    single, many = mappings(change)
    print(f"constexpr CaseRun k{name}Runs[] = {{")
    line = "   "
    for f, l, s, d in runs(single):
        item = f" {{0x{f:x}, 0x{l:x}, {s}, {d}}},"
        if len(line) + len(item) > 108:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};")
    print(f"constexpr CaseText k{name}Texts[] = {{")
    line = "   "
    for c, to in many:
        text = "".join(f"\\x{b:02x}" for b in to.encode())
        item = f' {{0x{c:x}, "{text}"}},'
        if len(line) + len(item) > 108:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};")


print(f"// Made by tools/generate/unicode_case.py from Unicode {unicodedata.unidata_version}. Not edited by hand.")
write("Upper", str.upper)
write("Lower", str.lower)
