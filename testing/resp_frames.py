"""Replies as the bytes they came in, for tests that compare two servers."""

from testing.resp_client import RespClient


class FrameClient(RespClient):
    """Replies as the bytes they came in."""

    def read_reply(self):
        line = self._read_line()
        frame = line + b"\r\n"
        kind = line[:1]
        count = int(line[1:]) if kind in b"$=!*~>%|" else 0
        if kind in b"$=!" and count >= 0:
            return frame + self._read_exactly(count + 2)
        if kind in b"%|":
            count *= 2
        if kind in b"*~>%|":
            parts = [self.read_reply() for _ in range(count)]
            self.last_parts = (frame, parts)
            return frame + b"".join(parts)
        return frame


def shape(frame):
    """The types of a reply, nested, numbers and lengths left out."""
    parts, at = [], 0
    while at < len(frame):
        end = frame.index(b"\r\n", at)
        kind = frame[at : at + 1]
        is_bulk = kind in b"$=!" and frame[at + 1 : end] != b"-1"
        parts.append(kind + (frame[at + 1 : end] if kind in b"*~%>" else b""))
        at = end + 2 + (int(frame[at + 1 : end]) + 2 if is_bulk else 0)
    return parts


def _frame_end(data, at):
    """Where the frame that begins at `at` ends."""
    end = data.index(b"\r\n", at) + 2
    kind = data[at : at + 1]
    if kind in b"$=!*~>%|":
        count = int(data[at + 1 : end - 2])
        if kind in b"$=!":
            return end + count + 2 if count >= 0 else end
        for _ in range(2 * count if kind in b"%|" else count):
            end = _frame_end(data, end)
    return end


def elements(frame):
    """(header, [frames]) of a list, set, push or map, whose keys and values come in turn; else (frame, [])."""
    if frame[:1] not in b"*~>%":
        return frame, []
    at = frame.index(b"\r\n") + 2
    header, parts = frame[:at], []
    while at < len(frame):
        end = _frame_end(frame, at)
        parts.append(frame[at:end])
        at = end
    return header, parts


def complete_frames(data):
    """([frames], rest) of bytes that may end anywhere."""
    frames, at = [], 0
    while at < len(data):
        try:
            end = _frame_end(data, at)
        except ValueError:
            break
        if end > len(data):
            break
        frames.append(data[at:end])
        at = end
    return frames, data[at:]
