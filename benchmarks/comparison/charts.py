"""Bar charts as SVG, written by hand so that nothing needs to be installed."""

from xml.sax.saxutils import escape

_COLORS = ("#0b6e4f", "#8d99ae", "#c97b2b", "#2b59c3", "#7a306c", "#b23a48", "#5c6b73")
_LABEL_WIDTH, _BAR_WIDTH, _VALUE_WIDTH = 180, 420, 110
_BAR_HEIGHT, _GROUP_GAP, _TOP = 15, 12, 64


def bar_chart(title, unit, groups, names):
    """`groups`: [(label, {name: value})]. Every group has its own scale, since what matters is how the
    proxies compare within it. Names without a value in a group have no bar there."""
    y = _TOP
    body = []
    for label, values in groups:
        shown = [name for name in names if values.get(name) is not None]
        if not shown:
            continue
        highest = max(values[name] for name in shown) or 1
        middle = y + len(shown) * _BAR_HEIGHT / 2 + 4
        body.append(_text(_LABEL_WIDTH - 8, middle, label, anchor="end"))
        for name in shown:
            width = max(1.0, _BAR_WIDTH * values[name] / highest)
            color = _COLORS[names.index(name) % len(_COLORS)]
            body.append(f'<rect x="{_LABEL_WIDTH}" y="{y}" width="{width:.1f}" '
                        f'height="{_BAR_HEIGHT - 2}" fill="{color}"/>')
            body.append(_text(_LABEL_WIDTH + width + 5, y + 10, f"{values[name]:,.3g}"
                              if values[name] < 1000 else f"{values[name]:,.0f}", size=10))
            y += _BAR_HEIGHT
        y += _GROUP_GAP
    width = _LABEL_WIDTH + _BAR_WIDTH + _VALUE_WIDTH
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" '
            f'viewBox="0 0 {width} {y}" font-family="sans-serif">',
            f'<rect width="{width}" height="{y}" fill="#ffffff"/>',
            _text(12, 22, f"{title} ({unit})", size=15), *_legend(names)]
    return "\n".join([*head, *body, "</svg>"]) + "\n"


def _legend(names):
    x = 12
    parts = []
    for index, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="36" width="11" height="11" '
                     f'fill="{_COLORS[index % len(_COLORS)]}"/>')
        parts.append(_text(x + 15, 46, name))
        x += 28 + 7 * len(name)
    return parts


def _text(x, y, text, size=12, anchor="start"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="#222222">{escape(text)}</text>')
