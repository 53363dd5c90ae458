"""The smaller parts of a suite: viewports, what is ignored, what is waited for, and the steps of a test."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.alias_generators import to_camel

from server.runs import devices
from server.runs import suite_values as values
from server.vision.page import Step


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Viewport(Part):
    """The window that a page is seen through."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["name"],
            "anyOf": [{"required": ["device"]}, {"required": ["width", "height"]}],
        }
    )
    name: values.ViewportName = Field(description="What the viewport is called.", examples=["phone"])
    width: values.ViewportEdge = Field(description="Width in CSS pixels.", examples=[390])
    height: values.ViewportEdge = Field(description="Height in CSS pixels.", examples=[844])
    device_scale_factor: values.Scale = Field(
        1.0, description="Image pixels per CSS pixel; phones have 2 or 3."
    )
    device: values.DeviceName | None = Field(
        None,
        description="A device that Playwright knows: its width, height, scale, user agent and touch.",
        examples=["iPhone 15"],
    )

    @model_validator(mode="before")
    @classmethod
    def _as_the_device(cls, data: Any) -> Any:
        """Fills in what the device says and the viewport does not; of an unknown device nobody misses a width."""
        if not isinstance(data, dict) or not isinstance(data.get("device"), str):
            return data
        device = devices.known()[devices.named(data["device"].strip()) or next(iter(devices.known()))]
        told = {"width": device["width"], "height": device["height"], "deviceScaleFactor": device["scale"]}
        return {**told, **data}


class IgnoredElements(Part):
    """Elements that are left out of the comparison."""

    selector: values.Selector = Field(description="What they are, as a CSS selector.", examples=[".clock"])


class IgnoredBox(Part):
    """A rectangle left out of the comparison, in CSS pixels from the top left corner of the page."""

    x: values.Offset = Field(examples=[0])
    y: values.Offset = Field(examples=[0])
    width: values.Length = Field(examples=[300])
    height: values.Length = Field(examples=[50])


class TypedText(Part):
    """A text and the field that it is typed into."""

    selector: values.Selector = Field(description="The field, as a CSS selector.", examples=["#email"])
    value: values.TypedText = Field(description="The text that it holds then.", examples=["tea@example.com"])


class PressedKey(Part):
    """A key and the element that has the focus when it is pressed."""

    selector: values.Selector = Field(description="The element, as a CSS selector.", examples=["#search"])
    key: values.KeyName = Field(description="The key, such as Enter or Control+A.", examples=["Enter"])


def kind_of(value: object) -> str:
    """Which branch of a union a value is for; in angle brackets, so that it is no key of a suite."""
    return "<mapping>" if isinstance(value, dict | BaseModel) else "<scalar>"


def elements_or_box(value: object) -> str:
    """As `kind_of`, where a mapping with a selector is for elements and another is a box."""
    return "<elements>" if "selector" in _keys(value) else kind_of(value)


def _action(value: object) -> str | None:
    named = [action for action in ACTIONS if action in _keys(value)]
    return f"<{named[0]}>" if named else None


def _keys(value: object) -> Collection[str]:
    """The keys of a mapping, or of the part that was made of one."""
    return value if isinstance(value, dict) else getattr(type(value), "model_fields", ())


Ignored = Annotated[
    Annotated[values.Selector, Tag("<scalar>")]
    | Annotated[IgnoredElements, Tag("<elements>")]
    | Annotated[IgnoredBox, Tag("<mapping>")],
    Discriminator(elements_or_box),
]
Key = Annotated[
    Annotated[values.KeyName, Tag("<scalar>")] | Annotated[PressedKey, Tag("<mapping>")],
    Discriminator(kind_of),
]
ViewportChoice = Annotated[
    Annotated[values.ViewportName, Tag("<scalar>")] | Annotated[Viewport, Tag("<mapping>")],
    Discriminator(kind_of),
]
Ignoreds = Annotated[
    tuple[Ignored, ...],
    Field(max_length=100),
    BeforeValidator(values.one_or_list, json_schema_input_type=Ignored | tuple[Ignored, ...]),
]
Waits = Annotated[
    tuple[values.Wait, ...],
    Field(max_length=20),
    BeforeValidator(values.one_or_list, json_schema_input_type=values.Wait | tuple[values.Wait, ...]),
]


class Click(Part):
    click: values.Selector = Field(description="Click on an element.", examples=["#buy"])

    def step(self) -> Step:
        return Step("click", self.click)


class Fill(Part):
    fill: TypedText = Field(
        description="Type a text into a field.", examples=[{"selector": "#q", "value": "tea"}]
    )

    def step(self) -> Step:
        return Step("fill", self.fill.selector, self.fill.value)


class Hover(Part):
    hover: values.Selector = Field(description="Hold the pointer over an element.", examples=[".menu"])

    def step(self) -> Step:
        return Step("hover", self.hover)


class Press(Part):
    press: Key = Field(description="Press a key.", examples=["Enter", {"selector": "#q", "key": "Enter"}])

    def step(self) -> Step:
        if isinstance(self.press, PressedKey):
            return Step("press", self.press.selector, self.press.key)
        return Step("press", None, self.press)


class Scroll(Part):
    scroll: values.Scroll = Field(
        description="Scroll to a height in pixels or to an element.", examples=[800, "#faq"]
    )

    def step(self) -> Step:
        return (
            Step("scroll", self.scroll) if isinstance(self.scroll, str) else Step("scroll", None, self.scroll)
        )


class Wait(Part):
    wait: values.Wait = Field(description="Wait milliseconds, or for an element.", examples=[500, "#ready"])

    def step(self) -> Step:
        return Step("wait", self.wait) if isinstance(self.wait, str) else Step("wait", None, self.wait)


ACTIONS: dict[str, type[Part]] = {
    "click": Click, "fill": Fill, "hover": Hover, "press": Press, "scroll": Scroll, "wait": Wait,
}  # fmt: skip

SuiteStep = Annotated[
    Annotated[Click, Tag("<click>")]
    | Annotated[Fill, Tag("<fill>")]
    | Annotated[Hover, Tag("<hover>")]
    | Annotated[Press, Tag("<press>")]
    | Annotated[Scroll, Tag("<scroll>")]
    | Annotated[Wait, Tag("<wait>")],
    Discriminator(_action),
]
