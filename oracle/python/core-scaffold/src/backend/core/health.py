"""Whether core is up."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter()


class Health(BaseModel):
    """The service is up."""

    status: Literal["ok"]
    service: Literal["core"]


@router.get("/health", operation_id="health")
async def health() -> Health:
    """Say that the service is up."""
    return Health(status="ok", service="core")
