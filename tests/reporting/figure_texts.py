"""Where the texts of a figure are, for tests that none overlaps another or leaves the figure."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def assert_texts_have_room(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = canvas.get_width_height()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    seen = []
    for text in texts:
        if text.axes is not None and text in text.axes.get_xticklabels() + text.axes.get_yticklabels():
            low, high = sorted(text.axes.get_xlim() if text in text.axes.get_xticklabels() else text.axes.get_ylim())
            place = text.get_position()[text in text.axes.get_yticklabels()]
            if not low <= place <= high:
                continue
        seen.append((text.get_text(), text.get_window_extent(renderer)))
    for number, (text, box) in enumerate(seen):
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= width + 0.5, text
        assert box.y1 <= height + 0.5, text
        for other, its_box in seen[:number]:
            assert not box.padded(-0.5).overlaps(its_box.padded(-0.5)), (text, other)
    return [text for text, _ in seen]
